import pytest

from claf_tui.runners.trackers.secrets import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot reach https://me:pass@host/x", "cannot reach https://***@host/x"),
        ("GET /log?api_key=abcdef&run=7", "GET /log?api_key=***&run=7"),
        ("key 0123456789abcdef refused", "key *** refused"),
        ("no route to host", "no route to host"),
    ],
)
def test_secrets_do_not_get_into_a_notice(text: str, shown: str) -> None:
    assert masked(text, {"WANDB_API_KEY": "0123456789abcdef", "HOME": "/home/x", "USE_TOKENS": "on"}) == shown
