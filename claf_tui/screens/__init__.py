"""Screens: the dashboards of a run, an audit and a reproduction, the card, the browser, help, the small questions."""
