/// What became of one work request.
package struct WorkCompletion: Sendable, Hashable, BitwiseCopyable {
    package enum Kind: Sendable, Hashable, BitwiseCopyable {
        case send, write, receive, receiveWriteWithImmediate, other
    }

    /// The number given when the request was posted.
    package var id: UInt64
    /// Nil when the request failed: the device does not say then.
    package var kind: Kind?
    package var status: Status
    /// Bytes that arrived; meaningful for receives only.
    package var byteCount: UInt32
    /// The 32 bits that came with the message, in host order.
    package var immediate: UInt32?
    package var queuePairNumber: UInt32

    package init(
        id: UInt64, kind: Kind?, status: Status = .success, byteCount: UInt32 = 0, immediate: UInt32? = nil,
        queuePairNumber: UInt32 = 0
    ) {
        self.id = id
        self.kind = kind
        self.status = status
        self.byteCount = byteCount
        self.immediate = immediate
        self.queuePairNumber = queuePairNumber
    }

    /// The values of ibv_wc_status.
    package enum Status: UInt32, Sendable, Hashable, CaseIterable, BitwiseCopyable {
        case success, localLength, localQueuePairOperation, localEndToEndContext, localProtection, flushed
        case memoryWindowBind, badResponse, localAccess, remoteInvalidRequest, remoteAccess, remoteOperation
        case retryExceeded, receiverNotReadyRetryExceeded, localDomainViolation, remoteInvalidReadRequest
        case remoteAborted, invalidEndToEndNumber, invalidEndToEndState, fatal, responseTimeout, general
    }
}

extension WorkCompletion.Status: CustomStringConvertible {
    package var description: String {
        switch self {
        case .success: "success"
        case .localLength: "the message is longer than the receive posted for it, or than the device sends"
        case .localQueuePairOperation: "local queue pair operation error; the port may be down"
        case .localEndToEndContext: "local end-to-end context error"
        case .localProtection: "the local memory is not registered for this, or the key is of another domain"
        case .flushed: "flushed: the queue pair went to ERROR before this request was carried out"
        case .memoryWindowBind: "memory window bind error"
        case .badResponse: "the peer answered something that is no answer"
        case .localAccess: "a remote operation hit local memory that does not permit it"
        case .remoteInvalidRequest: "the peer refused the message: too long for its receive, or not permitted there"
        case .remoteAccess: "remote access error: the peer's memory is not registered there, or the key is wrong or old"
        case .remoteOperation: "the peer could not carry it out"
        case .retryExceeded: "the peer did not answer through all retries: it, its port or the way to it is gone"
        case .receiverNotReadyRetryExceeded: "the peer had no receive posted through all retries"
        case .localDomainViolation: "local reliable datagram domain violation"
        case .remoteInvalidReadRequest: "remote invalid read request"
        case .remoteAborted: "the peer aborted the operation"
        case .invalidEndToEndNumber: "invalid end-to-end context number"
        case .invalidEndToEndState: "invalid end-to-end context state"
        case .fatal: "the device failed"
        case .responseTimeout: "the peer's answer did not come in time"
        case .general: "transport error that the device does not explain"
        }
    }
}

extension WorkCompletion {
    /// Throws unless the request succeeded.
    package func checkSuccess(of operation: StaticString) throws(VerbsError) {
        guard self.status == .success else { throw VerbsError("\(operation)", .completion(self.status)) }
    }
}
