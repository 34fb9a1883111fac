"""One module per domain: an asset beside the checks that judge it."""
