import { proxyDriver } from '../../../services/link/drivers/proxy.js';
import { conformance } from './conformance.js';

conformance(proxyDriver, new URL('../../../services/link/drivers/proxy.js', import.meta.url), 'proxyDriver', {
  losesPackets: false,
});
