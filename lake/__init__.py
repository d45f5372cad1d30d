"""What a table is: snapshots, schemas, commits and questions. Imports nothing of the other packages."""
