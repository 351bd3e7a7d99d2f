"""What a person did or gave that cannot work, said in one line that names what to change."""


class UserError(ValueError):
    """Shown without a traceback by the command; a ValueError to users of the library."""


class MissingInput(UserError):
    """Something that the run needs is not on this machine (a pool, a model, benchmark data)."""


class NotKnownOffline(MissingInput):
    """A name on the hub whose commit this machine does not know, and the hub cannot be asked."""


class DamagedArtifact(UserError):
    """A file of an artifact no longer matches the checksum in its record."""
