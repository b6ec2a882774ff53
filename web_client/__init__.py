"""The page: files only, served as they are; `index.html` is where it starts."""
