// Anchors the precompiled header; see redoubt.cmake.
