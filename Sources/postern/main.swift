import PosternCLI

await PosternCommand.start()
