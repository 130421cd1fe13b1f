"""One HTML page and its Markdown twin: everything a report consists of, put together and written."""
