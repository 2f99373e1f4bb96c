// Two partitions in one program, one echoing what the other says. The README shows the part between the marks.
// README: from here
import SMC

let server = try await Partition.join()
let listener = try await server.listen(port: 0)
let echo = Task {
    for await connection in listener {
        while let bytes = try await connection.receive(atMost: 65_536) { try await connection.send(bytes) }
        await connection.close()
    }
}

let client = try await Partition.join()
let connection = try await client.connect(to: "localhost", port: listener.port)
try await connection.send(Array("Hello, partition!".utf8))
connection.finishSending()
while let bytes = try await connection.receive(atMost: 65_536) {
    print(connection.path.rawValue, String(decoding: bytes, as: UTF8.self))
}
await connection.close()
// README: to here

listener.close()
try await echo.value
await client.leave()
await server.leave()
