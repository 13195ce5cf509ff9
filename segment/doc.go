// Package segment says who gets the message: filters as the dashboard has them, their text, the Connected Audience that the REST API takes, and whom they
// match.
package segment
