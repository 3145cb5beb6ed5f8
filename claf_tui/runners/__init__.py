"""Play training, audits and reproductions, in the console or in lines."""
