// What the test of netem runs in a virtual machine where this kernel has no netem.
import { netemDriver } from '../../../services/link/drivers/netem.js';
import { interfaceConformance } from './interface-conformance.js';

interfaceConformance(netemDriver, new URL('../../../services/link/drivers/netem.js', import.meta.url), 'netemDriver');
