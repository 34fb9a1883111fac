"""Many machines: runs go through a broker to workers, state lies in a database, artefacts in an object store."""
