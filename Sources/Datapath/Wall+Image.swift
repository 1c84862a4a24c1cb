extension Wall {
    /// The programs as they were compiled, as text: two versions that differ differ here.
    package static var image: String { wallObject }
}
