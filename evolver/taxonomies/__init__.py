"""Search spaces that come with the product; `evolver.shipped_taxonomies` reads them."""
