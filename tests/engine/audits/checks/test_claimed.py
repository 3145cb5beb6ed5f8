from claf_engine.audits.checks import targeted
from claf_engine.audits.checks.claimed import CHECKS
from tests.engine.audits.fixtures import BUDGET, Decoy, bench_of, found, images_of, robust, undefended


def test_what_all_attacks_together_break_is_told_beside_the_claim() -> None:
    bench = bench_of(Decoy(undefended()), budget=BUDGET)
    alone = found(CHECKS[0], bench)
    assert (alone.verdict, alone.values["drop"]) == ("passes", 0), "the claim's attack is the only one that was run"
    found(targeted.CHECKS[0], bench)
    together = found(CHECKS[0], bench)
    assert together.verdict == "fails"
    assert together.values["claim"] > 0.9
    assert together.values["worst"] == float(bench.worst_case().double().mean()) < 0.1


def test_a_network_whose_claim_holds_passes() -> None:
    bench = bench_of(robust(), images_of(100), budget=BUDGET)
    found(targeted.CHECKS[0], bench)
    finding = found(CHECKS[0], bench)
    assert finding.verdict == "passes"
    assert finding.values["worst"] <= finding.values["claim"]
