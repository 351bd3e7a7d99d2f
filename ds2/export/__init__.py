"""The subset in the forms that trainers read, one module a form, and as a data set to publish.

A form's module has `STANZA`, the file that holds what to paste; `write(subset, folder, tally)`, which writes
the data; and `stanza(subset, folder)`, the text to paste for data that lie in `folder`.
"""

from ds2.export.exporting import Exported, export

__all__ = ["Exported", "export"]
