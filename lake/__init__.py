"""What a table is: snapshots, schemas, commits and queries. Imports nothing of the other packages."""
