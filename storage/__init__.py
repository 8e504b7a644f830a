"""Everything that outlives a process: the contract, the rows, the pictures, the tickets and the events."""
