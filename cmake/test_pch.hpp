// Precompiled for every test program.
#pragma once
#include "pch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
