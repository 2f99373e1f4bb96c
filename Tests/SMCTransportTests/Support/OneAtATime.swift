import Testing

/// All tests that move bytes: each has threads and a hypervisor of its own, and many at once would only wait for each
/// other.
@Suite(.serialized) enum OneAtATime {}
