package main

import "os"

func abortOnCrash() {} // Windows has no abort

func abort() { os.Exit(exitFailed) }
