"""The pages as HTML: one run, many runs.

run_page: one run. many_page: many runs, with many_raters and many_costs for two of its sections; comparison:
the runs side by side, as all of these read them. samples, records: the texts and the sources of numbers that
either page shows. html: templates, scripts and data as one file; assets/ holds them.
"""
