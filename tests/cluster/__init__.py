"""Tests against real servers; a package, so that their cluster ends with the last of them."""
