"""The wire of Plumbline: one module per service with its models, its Protocol and its router."""
