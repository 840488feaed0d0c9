// A worker with the scripted engine in place of a model: for `bloom-chaos`, which needs many nodes
// that compute nothing. Keys, lock-down, opening and sealing are those of the real worker.
import BloomEngine
import BloomWorker

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

exit(
  await WorkerProgram.run(load: { (_, _, _) throws(EngineError) in
    ScriptedEngine(script: .chaos)
  }))
