"""Side-by-side measurements: one script a question; see docs/performance.md."""
