"""Services that show runs. `window.Window` is what each offers; `ds2.report.tracking` says what is shown."""
