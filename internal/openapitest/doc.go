// Package openapitest checks what the Twilio adapter sends, the replies that
// its tests answer with and those of the simulated carrier, against Twilio's public
// OpenAPI description
// (github.com/twilio/twilio-oai).
//
// The description is not part of this project. The environment variable
// TWILIO_OPENAPI names a folder that holds one, in a file of the name
// twilio_calls_v2010.json or twilio_api_v2010.json; without it the test is
// skipped. Nobody imports this package, so that its dependency stays here.
package openapitest
