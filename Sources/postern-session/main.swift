import Foundation
import Sandbox

exit(SessionProgram.main(CommandLine.arguments))
