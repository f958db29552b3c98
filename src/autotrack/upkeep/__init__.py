"""Looking after a home: what may go, whether all is whole, and a copy of it elsewhere."""
