// Placeholder until the bundle script lands.
