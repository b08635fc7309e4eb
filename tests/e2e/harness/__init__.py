# SPDX-License-Identifier: Apache-2.0
"""Real servers, a real control plane and the real agent, each in a directory of its own."""
