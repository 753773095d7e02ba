"""A telephone company that speaks Twilio's wire protocol: REST, TwiML, webhooks, Media Streams."""
