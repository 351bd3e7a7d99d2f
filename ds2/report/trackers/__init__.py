"""Services that show runs. `window` is what each offers; `ds2.report.tracking` says what is shown."""
