package main

func abortOnCrash() {} // Windows has no abort
