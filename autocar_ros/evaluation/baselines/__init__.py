"""Other methods on the same cases, to compare with."""
