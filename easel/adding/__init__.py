"""`easel models add` and `remove`: from a link, an id or a file to an entry of the catalog, and back."""
