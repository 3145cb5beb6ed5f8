"""Numbers, attacks and foreign text as a person reads them."""
