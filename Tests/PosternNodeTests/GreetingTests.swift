import Testing

@testable import PosternNode

@Suite struct GreetingTests {
    @Test func `a greeting is answered by its own answer and no other`() throws {
        var generator = SeededGenerator(seed: 1)
        let (one, other) = (Greeting.random(using: &generator), Greeting.random(using: &generator))
        let answer = try #require(Greeting.answer(to: one.question))
        #expect(one.isAnswered(by: answer))
        #expect(!other.isAnswered(by: answer))
        #expect(!one.isAnswered(by: one.question))
        #expect(answer.count == one.question.count, "nobody gains by asking in another's name")
    }

    @Test func `what is no greeting gets no answer, an answer least of all`() throws {
        var generator = SeededGenerator(seed: 2)
        let greeting = Greeting.random(using: &generator)
        let answer = try #require(Greeting.answer(to: greeting.question))
        let question = greeting.question
        for datagram in [[], answer, question + [0], question.dropLast(), Array(question.dropFirst())] {
            #expect(Greeting.answer(to: datagram) == nil)
        }
    }
}
