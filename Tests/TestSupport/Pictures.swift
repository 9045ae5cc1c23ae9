// Whether tests that read pictures can run here.

import Formats

/// Whether libvips is on this machine.
public let canReadPictures = (try? Picture.requireLibrary()) != nil
