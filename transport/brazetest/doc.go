// Package brazetest is an in-memory fake of Braze's partner cohort import.
package brazetest
