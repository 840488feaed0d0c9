// The worker: the only program that sees prompts and answers on a machine of the network.
//
// An agent starts it with its channel as descriptor 3 and the model's files after that. It has no
// options: everything comes in the first message, and nothing else is read.
import BloomEngine
import BloomEngineLlama
import BloomWorker

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

exit(await WorkerProgram.run(load: LlamaLoader.load))
