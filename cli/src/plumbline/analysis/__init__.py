"""Files that other tools write, as observations for the analyzer: one module per form."""
