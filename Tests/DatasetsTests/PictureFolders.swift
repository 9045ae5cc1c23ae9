// Folders of pictures for tests, made of the small pictures under Tests/Goldens.

import Formats
import Foundation
import TestSupport

@testable import Datasets

/// Fills a new folder with `files` and gives it to `body`; a text that begins with `=` names a golden picture.
func withPictures<R>(_ files: KeyValuePairs<String, String>, _ body: (URL) throws -> R) throws -> R {
    try withTemporaryFolder { folder in
        for (name, content) in files {
            let url = folder.appendingPathComponent(name)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            if content.hasPrefix("=") {
                let picture = goldens.appendingPathComponent("pictures/\(content.dropFirst())")
                try FileManager.default.copyItem(at: picture, to: url)
            } else {
                try Data(content.utf8).write(to: url)
            }
        }
        return try body(folder)
    }
}

/// Options for pictures of about 32 × 32 pixels.
var smallOptions: PictureDataOptions { PictureDataOptions(resolution: 32) }

/// The data of a folder of `files`.
func pictureDataset(
    _ files: KeyValuePairs<String, String>, _ options: PictureDataOptions = smallOptions
) throws -> PictureDataset {
    try withPictures(files) { try PictureDataset(path: $0, options: options) }
}

/// The error of a folder of `files`, without the folder's path.
func pictureError(_ files: KeyValuePairs<String, String>, _ options: PictureDataOptions = smallOptions) throws -> String
{
    try withPictures(files) { folder in
        do {
            _ = try PictureDataset(path: folder, options: options)
            return "no error"
        } catch {
            return "\(error)".replacingOccurrences(of: folder.path, with: "DIR")
        }
    }
}

/// A sample of a picture of `size`, without a file.
func sample(
    _ name: String, _ size: PictureSize = PictureSize(40, 24), repeats: Int = 1, caption: String = "",
    rule: CaptionRule = CaptionRule(), isRegularisation: Bool = false
) -> PictureSample {
    PictureSample(
        url: URL(fileURLWithPath: "/none/\(name)"), name: name, caption: caption, repeats: repeats,
        isRegularisation: isRegularisation, lossWeight: 1, mask: nil, size: size,
        fit: PictureBuckets(resolution: 32).fit(size), contentHash: "", ownCaption: caption, rule: rule)
}
