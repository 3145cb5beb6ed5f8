"""The words of settings and options, distances such as "8/255", and errors: imports nothing, so help comes at once."""
