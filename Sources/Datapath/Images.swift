// The programs as they were compiled, as text: two versions that differ differ here.

extension Classifier {
    package static var image: String { classifierObject }
}

extension Wall {
    package static var image: String { wallObject }
}
