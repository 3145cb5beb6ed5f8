import torch

from claf_engine.compute.parts import in_parts


def test_parts_of_several_batches_go_together_and_the_last_is_smaller() -> None:
    rows, labels = torch.arange(10).view(5, 2), torch.arange(5)
    parts = list(in_parts(2, rows, labels))
    assert [len(part) for part, _ in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part for part, _ in parts]), rows)
    assert torch.equal(torch.cat([part for _, part in parts]), labels)


def test_what_is_written_to_a_part_is_written_to_its_batch() -> None:
    rows = torch.zeros(3)
    for (part,) in in_parts(2, rows):
        part += 1
    assert torch.equal(rows, torch.ones(3))


def test_a_batch_of_no_rows_is_one_part_of_no_rows() -> None:
    assert [part.shape for (part,) in in_parts(2, torch.zeros(0, 3))] == [(0, 3)]
