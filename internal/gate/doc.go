// Package gate holds no code: its tests read the source of the whole module and fail where a rule of the house is broken.
//
//   - Modules: the library needs go-retryablehttp, go-cleanhttp and x/sync, its tests also go-cmp, and nothing else.
//   - Floors: an import only ever goes down, the fake stays out of production code, and the packages that do no
//     network I/O cannot reach package net.
//   - Start: importing the library runs nothing. No init function, no goroutine, no work in a variable's initial value.
//   - Habits: no test sleeps in real time, and none is skipped.
//
// The rules read every file, whatever platform or build tag it is for, so a file for another system is held to them too.
// Each rule is a function over a list of files or packages, and each has a test that shows it breaking.
package gate
