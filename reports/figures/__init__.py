"""The figures of a report, drawn from records, all with one look."""
