"""The keys that scroll a page which has nothing else to choose; its screen has `action_scroll(lines)`."""

from textual.binding import Binding

SCROLL_KEYS = (
    Binding("down,j", "scroll(1)", show=False, id="down"),
    Binding("up,k", "scroll(-1)", show=False, id="up"),
    Binding("pagedown,space", "scroll(15)", show=False, id="page-down"),
    Binding("pageup", "scroll(-15)", show=False, id="page-up"),
    Binding("home", "scroll(-10000)", show=False, id="home"),
    Binding("end", "scroll(10000)", show=False, id="end"),
)
